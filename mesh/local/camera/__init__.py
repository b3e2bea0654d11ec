"""A camera made of a video file: RTSP over TCP, in real time, in a loop, misbehaving on request.

FFmpeg's own ``rtp`` muxer packetises (RFC 6184, RFC 7798) and writes the RTCP sender reports; only the RTSP dialogue
(RFC 2326) is written here.
"""
