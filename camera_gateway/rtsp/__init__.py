"""An RTSP 1.0 client (RFC 2326) over TCP, TLS and UDP, for H.264 and H.265 video.

The gateway speaks RTSP itself instead of through FFmpeg's demuxer, for three reasons that the demuxer cannot give:
FFmpeg follows a ``Location`` header to any host, which would break the rule that only camera networks are dialled; its
blocking reads need one thread per camera and can be held for ever by a camera that only sends RTCP; and the RTCP sender
reports, which carry the camera's clock, are not given with each picture. Decoding is FFmpeg's (through PyAV).
"""
