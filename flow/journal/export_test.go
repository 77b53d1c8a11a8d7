package journal

// SnapshotAfter is cfg whose executions leave snapshots after so many bytes.
func SnapshotAfter(cfg Config, bytes int) Config {
	cfg.snapshotAfter = bytes
	return cfg
}
