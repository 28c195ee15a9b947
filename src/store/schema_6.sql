-- Authorities whose certificates sign people in. Sealed: a row opens doors. `principals` and `limits` are JSON with ids of people and
-- groups; NULL means names and everybody, so that an id whose owner is gone narrows and never widens.
CREATE TABLE user_cas (
  name TEXT PRIMARY KEY, public_key TEXT NOT NULL, fingerprint TEXT NOT NULL UNIQUE, principals TEXT, limits TEXT, roles TEXT NOT NULL,
  added_by TEXT NOT NULL, added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Certificates of an authority that do not count any more. Sealed: who could take a row away would let somebody in again.
CREATE TABLE user_ca_revocations (
  ca TEXT NOT NULL REFERENCES user_cas(name) ON DELETE CASCADE, kind TEXT NOT NULL, what TEXT NOT NULL,
  revoked_by TEXT NOT NULL, revoked_at INTEGER NOT NULL, PRIMARY KEY (ca, kind, what)
) STRICT, WITHOUT ROWID;
