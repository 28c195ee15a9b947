-- Second factors of people: what their authenticator counts with, wrapped by the root key and bound to the person and to `made_at`. Sealed:
-- who could change a row would let somebody in, or in again with a code that was used. A pending one counts for nothing yet.
CREATE TABLE second_factors (
  user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE, stage TEXT NOT NULL, made_at INTEGER NOT NULL, wrapped BLOB NOT NULL,
  always INTEGER NOT NULL, enrolled_at INTEGER, last_step INTEGER NOT NULL, last_used_at INTEGER, PRIMARY KEY (user, stage)
) STRICT, WITHOUT ROWID;
-- Recovery codes that were not used, as hashes under a key that stands beside the second factor. Sealed, as above.
CREATE TABLE recovery_codes (
  user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE, hash BLOB NOT NULL, PRIMARY KEY (user, hash)
) STRICT, WITHOUT ROWID;
-- Grants that hold only where the second factor was shown. Sealed: without its row a grant wants none.
CREATE TABLE grant_factors (id TEXT PRIMARY KEY REFERENCES grants(id) ON DELETE CASCADE) STRICT, WITHOUT ROWID;
