"""The agent: a process on another host that pulls jobs, and tells what the host is like."""
