CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;

CREATE TABLE users (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL, uid INTEGER UNIQUE,
  disabled INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE user_keys (
  fingerprint TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  public_key TEXT NOT NULL, comment TEXT NOT NULL, added_at INTEGER NOT NULL
) STRICT;
CREATE INDEX user_keys_by_user ON user_keys(user);
CREATE TABLE groups (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE members (
  grp TEXT NOT NULL REFERENCES groups(id) ON DELETE CASCADE, user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  PRIMARY KEY (grp, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE hosts (
  id TEXT PRIMARY KEY, workspace TEXT NOT NULL, name TEXT NOT NULL, address TEXT NOT NULL, port INTEGER NOT NULL,
  trust_first_use INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, UNIQUE (workspace, name)
) STRICT;
CREATE TABLE host_tags (
  host TEXT NOT NULL REFERENCES hosts(id) ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (host, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE host_keys (
  host TEXT NOT NULL REFERENCES hosts(id) ON DELETE CASCADE, fingerprint TEXT NOT NULL, public_key TEXT NOT NULL,
  source TEXT NOT NULL, pinned_at INTEGER NOT NULL, PRIMARY KEY (host, fingerprint)
) STRICT, WITHOUT ROWID;

CREATE TABLE keks (scope TEXT NOT NULL, version INTEGER NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (scope, version)) STRICT, WITHOUT ROWID;
CREATE TABLE credentials (
  id TEXT PRIMARY KEY, scope TEXT NOT NULL, name TEXT NOT NULL, username TEXT NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL,
  public_key TEXT, fingerprint TEXT, sealed BLOB NOT NULL, wrapped_dek BLOB NOT NULL, kek_version INTEGER NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, UNIQUE (scope, name)
) STRICT;
-- The data key once more, bound to one host: what a lease opens.
CREATE TABLE bindings (
  credential TEXT NOT NULL REFERENCES credentials(id) ON DELETE CASCADE, host TEXT NOT NULL REFERENCES hosts(id) ON DELETE CASCADE,
  wrapped_dek BLOB NOT NULL, kek_version INTEGER NOT NULL, PRIMARY KEY (credential, host)
) STRICT, WITHOUT ROWID;
CREATE INDEX bindings_by_host ON bindings(host);
-- Which credential is taken: user '' is the host's default.
CREATE TABLE choices (
  host TEXT NOT NULL, user TEXT NOT NULL, credential TEXT NOT NULL, PRIMARY KEY (host, user),
  FOREIGN KEY (credential, host) REFERENCES bindings(credential, host) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
  id TEXT PRIMARY KEY, workspace TEXT NOT NULL, subject TEXT NOT NULL, hosts TEXT NOT NULL, allow TEXT NOT NULL, commands TEXT,
  source TEXT, until INTEGER, daily TEXT, max_session INTEGER, created_at INTEGER NOT NULL, created_by TEXT NOT NULL
) STRICT;

CREATE TABLE state_seal (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, mac BLOB NOT NULL) STRICT;

-- What follows is not sealed: it grows with every connection.
CREATE TABLE credential_uses (credential TEXT PRIMARY KEY, last_used_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE sessions (
  id TEXT PRIMARY KEY, user TEXT NOT NULL, user_name TEXT NOT NULL, host TEXT NOT NULL, host_name TEXT NOT NULL,
  credential TEXT, credential_name TEXT, credential_scope TEXT, client TEXT NOT NULL,
  started_at INTEGER NOT NULL, ended_at INTEGER, end_reason TEXT, exit_status INTEGER,
  bytes_in INTEGER NOT NULL DEFAULT 0, bytes_out INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX sessions_live ON sessions(ended_at) WHERE ended_at IS NULL;
CREATE TABLE audit (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL, prev BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
