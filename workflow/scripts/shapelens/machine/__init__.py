"""Who computes where: leases, GPUs, termination. Left out of every code digest."""
