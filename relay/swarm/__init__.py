"""Many receivers in one process, against any WHEP endpoint: they count and do not decode.

Each one is a real WebRTC receiver (ICE, DTLS, SRTP keys, receiver reports), so that a server does its full work for
it. To be cheap it opens a sample of the packets only, reads the rest of what it counts from the clear RTP header, and
reads its socket in batches.
"""
