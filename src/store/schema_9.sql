-- Which entries of the audit log tell of a session's files, so that they are found without reading all of it. Not sealed: what
-- is shown are the entries themselves.
CREATE TABLE session_files (session TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (session, seq)) STRICT, WITHOUT ROWID;
