-- Scans: what was asked, and what became of each host. Not sealed: nothing here decides who may do what.
CREATE TABLE scans (
  id TEXT PRIMARY KEY, workspace TEXT NOT NULL, user TEXT NOT NULL, user_name TEXT NOT NULL,
  profile TEXT NOT NULL, selector TEXT NOT NULL, digest TEXT NOT NULL, asked BLOB NOT NULL,
  state TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX scans_by_start ON scans(workspace, started_at);

-- report and answers are packed JSON; the texts of answers and facts lie in scan_texts, each once.
CREATE TABLE scan_hosts (
  scan TEXT NOT NULL REFERENCES scans(id) ON DELETE CASCADE, host TEXT NOT NULL, host_name TEXT NOT NULL, address TEXT NOT NULL,
  state TEXT NOT NULL, session TEXT, facts BLOB, answers BLOB, report BLOB, ended_at INTEGER, PRIMARY KEY (scan, host)
) STRICT, WITHOUT ROWID;
CREATE INDEX scan_hosts_by_host ON scan_hosts(host, ended_at);

CREATE TABLE scan_texts (sha256 BLOB PRIMARY KEY, packed BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE scan_refs (
  scan TEXT NOT NULL, host TEXT NOT NULL, sha256 BLOB NOT NULL REFERENCES scan_texts(sha256), PRIMARY KEY (scan, host, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX scan_refs_by_text ON scan_refs(sha256);
