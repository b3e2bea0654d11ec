"""Cameras made of video files: RTSP, Motion JPEG or WHIP, in real time, in a loop, misbehaving on a script.

From the inside out: ``faults`` and ``script`` say what goes wrong, and when; ``frames``, ``effects``, ``encoding`` make
a ``clip``; a ``player`` plays it on the camera's clock; ``sender`` makes RTP of it and ``delivery`` feeds one client;
``session`` holds the RTSP dialogue, ``mjpeg`` and ``whip`` the other two; ``server`` listens.
docs/camera-simulator.md is the manual.
"""
