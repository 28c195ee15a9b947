-- Sealed, as every row that decides who may do what.
CREATE TABLE agents (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  public_key TEXT, fingerprint TEXT UNIQUE, token_sha256 BLOB UNIQUE, require_signature INTEGER NOT NULL DEFAULT 0,
  max_pending INTEGER NOT NULL, per_minute INTEGER NOT NULL, max_output INTEGER NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX agents_by_owner ON agents(owner);

-- Not sealed: it grows with every command. What runs is taken from the approved proposal in memory, and compared with this row.
CREATE TABLE proposals (
  id TEXT PRIMARY KEY, plan TEXT, step INTEGER NOT NULL, steps INTEGER NOT NULL,
  agent TEXT NOT NULL, agent_name TEXT NOT NULL, user TEXT NOT NULL, user_name TEXT NOT NULL,
  host TEXT NOT NULL, host_name TEXT NOT NULL, login TEXT NOT NULL, session TEXT NOT NULL,
  command BLOB NOT NULL, stdin BLOB NOT NULL, env TEXT NOT NULL, timeout_s INTEGER NOT NULL, digest BLOB NOT NULL,
  claim TEXT, proposed_command BLOB, stage TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
  decided_at INTEGER, decided_by TEXT, means TEXT, signed_by TEXT, signature TEXT, reason TEXT,
  started_at INTEGER, ended_at INTEGER, exit_status INTEGER, exit_signal TEXT,
  out_bytes INTEGER NOT NULL DEFAULT 0, err_bytes INTEGER NOT NULL DEFAULT 0, out_sha256 BLOB, err_sha256 BLOB, masked INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX proposals_open ON proposals(stage) WHERE stage IN ('pending', 'approved', 'running');
CREATE INDEX proposals_by_user ON proposals(user, id);
CREATE INDEX proposals_by_plan ON proposals(plan) WHERE plan IS NOT NULL;
