-- Certificate authorities of hosts. Sealed: who adds one decides which machines are taken for hosts.
CREATE TABLE host_cas (
  workspace TEXT NOT NULL, name TEXT NOT NULL, public_key TEXT NOT NULL, fingerprint TEXT NOT NULL, hosts TEXT NOT NULL,
  created_at INTEGER NOT NULL, PRIMARY KEY (workspace, name), UNIQUE (workspace, fingerprint)
) STRICT, WITHOUT ROWID;
