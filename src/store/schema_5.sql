-- Keys of certificate authorities, sealed. A scope has at most one in each stage: signing, next, old.
CREATE TABLE authorities (
  scope TEXT NOT NULL, generation INTEGER NOT NULL, stage TEXT NOT NULL, kind TEXT NOT NULL,
  public_key TEXT NOT NULL, fingerprint TEXT NOT NULL, sealed BLOB NOT NULL, wrapped_dek BLOB NOT NULL,
  kek_version INTEGER NOT NULL, created_at INTEGER NOT NULL, PRIMARY KEY (scope, generation)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX authorities_one_of_each ON authorities(scope, stage);

-- How long the certificates of a credential are valid.
CREATE TABLE certificate_terms (
  credential TEXT PRIMARY KEY REFERENCES credentials(id) ON DELETE CASCADE,
  validity_s INTEGER NOT NULL CHECK (validity_s BETWEEN 60 AND 300)
) STRICT, WITHOUT ROWID;

-- Rotations that stand open. The next secret is a credential of its own (next) until it is in force; then next is NULL. Which secret
-- signs in to a host hangs on these rows: they are sealed state.
CREATE TABLE rotations (
  credential TEXT PRIMARY KEY REFERENCES credentials(id) ON DELETE CASCADE, next TEXT UNIQUE REFERENCES credentials(id),
  stage TEXT NOT NULL, old_key TEXT, new_key TEXT, started_by TEXT NOT NULL, started_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE rotation_hosts (
  credential TEXT NOT NULL REFERENCES rotations(credential) ON DELETE CASCADE,
  host TEXT NOT NULL REFERENCES hosts(id) ON DELETE CASCADE, step TEXT NOT NULL, failure TEXT, at INTEGER NOT NULL,
  PRIMARY KEY (credential, host)
) STRICT, WITHOUT ROWID;

-- Since when a credential's secret is the one that it is. Sealed: who could make a secret look young would hide that it is old.
CREATE TABLE secret_changes (
  credential TEXT PRIMARY KEY REFERENCES credentials(id) ON DELETE CASCADE, changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- The credential that signs in on hosts of a workspace that have no default of their own. Sealed, like choices.
CREATE TABLE workspace_defaults (
  workspace TEXT PRIMARY KEY, credential TEXT NOT NULL REFERENCES credentials(id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
-- Workspaces beside `default`, which every home has. Sealed: a workspace that somebody wrote must not count.
CREATE TABLE workspaces (name TEXT PRIMARY KEY, created_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- In which workspace a session was opened; what was before is of the one that there was. Not sealed, like the sessions.
ALTER TABLE sessions ADD COLUMN workspace TEXT NOT NULL DEFAULT 'default';
CREATE INDEX sessions_by_workspace ON sessions(workspace, id);

-- Root keys, the one in use and those before it, with the public half of what each signed checkpoints with. Sealed: it decides
-- which checkpoints count, and up to which entry. A doomed one's file is destroyed wherever it is met.
CREATE TABLE roots (
  id TEXT PRIMARY KEY, checkpoint_key BLOB NOT NULL, made_at INTEGER, retired_at INTEGER, last_seq INTEGER,
  doomed INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- How old scopes' keys are. Not sealed: it is only shown. Kept by triggers, so that no writer of keks can leave it out.
CREATE TABLE kek_ages (
  scope TEXT NOT NULL, version INTEGER NOT NULL, made_at INTEGER NOT NULL, PRIMARY KEY (scope, version)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER kek_made AFTER INSERT ON keks BEGIN
  INSERT OR REPLACE INTO kek_ages(scope, version, made_at) VALUES(new.scope, new.version, CAST(unixepoch('subsec') * 1000 AS INTEGER));
END;
CREATE TRIGGER kek_gone AFTER DELETE ON keks BEGIN
  DELETE FROM kek_ages WHERE scope = old.scope AND version = old.version;
END;

-- Ciphertext that was deleted or replaced and may still lie in the write-ahead log. Not sealed: it is gone when that was emptied.
CREATE TABLE shreds (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, since INTEGER NOT NULL) STRICT;

-- Slots of personal scopes that their owners sealed. Sealed state: a row decides what opens a scope. `wrapped` is the whole slot, under
-- the root key; that the scope is sealed is said by its row in `keks`, which then begins with 0x02 and holds nothing of the root key's.
CREATE TABLE slots (
  id TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE, kind TEXT NOT NULL, label TEXT NOT NULL,
  wrapped BLOB NOT NULL, created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX slots_by_user ON slots(user);
