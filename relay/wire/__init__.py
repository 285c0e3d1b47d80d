"""Bytes to values and back: STUN, RTP, RTCP, SDP. Pure; bad input raises WireError, nothing else."""
