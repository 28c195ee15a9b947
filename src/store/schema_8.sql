-- How a host is reached, where that is not straight and with the usual algorithms: through another host (via), and with old
-- algorithms that were opened for it. Sealed: a row decides to whom a connection is handed and how well it is protected.
CREATE TABLE host_ways (
  host TEXT PRIMARY KEY REFERENCES hosts(id) ON DELETE CASCADE, via TEXT REFERENCES hosts(id), legacy TEXT NOT NULL DEFAULT 'none'
) STRICT, WITHOUT ROWID;
-- How a session reached its host: the names of the jump hosts then, in order, and what was open. Not sealed, like the sessions.
CREATE TABLE session_ways (
  session TEXT PRIMARY KEY REFERENCES sessions(id) ON DELETE CASCADE, via TEXT NOT NULL, legacy TEXT NOT NULL
) STRICT, WITHOUT ROWID;
