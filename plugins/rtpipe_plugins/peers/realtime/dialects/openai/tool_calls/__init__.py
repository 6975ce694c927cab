"""What the model calls: functions of ours and tools of MCP servers. For this dialect."""
