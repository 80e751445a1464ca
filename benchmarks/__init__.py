"""Speed and memory, each beside a peer and the machine's own limit, in one process."""
