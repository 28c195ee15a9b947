-- A credential's sudo password, if it has one of its own, sealed with the credential's data key. Sealed state, like the credential.
CREATE TABLE sudo_secrets (
  credential TEXT PRIMARY KEY REFERENCES credentials(id) ON DELETE CASCADE, sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
