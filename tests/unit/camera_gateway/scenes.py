"""Pictures of a street for tests: textured, lit, and with people in it."""

from __future__ import annotations

import functools

import cv2
import numpy as np

Luma = np.ndarray
WIDTH, HEIGHT = 640, 360


@functools.cache
def _empty(seed: int) -> Luma:
    rng = np.random.default_rng(seed)
    ground = cv2.resize(rng.integers(90, 150, (12, 20), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for _ in range(60):
        left, top = int(rng.integers(0, WIDTH - 60)), int(rng.integers(0, HEIGHT - 40))
        size = (left + int(rng.integers(10, 60)), top + int(rng.integers(8, 40)))
        cv2.rectangle(ground, (left, top), size, int(rng.integers(40, 210)), int(rng.choice([-1, 1, 2])))
    ground.setflags(write=False)
    return ground


@functools.cache
def _noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32)


def street(number: int = 0, *, people: int = 0, noise: float = 2.0, seed: int = 1) -> Luma:
    """Picture ``number`` (five a second) of an empty street, or of one on which people walk."""
    picture = _empty(seed).astype(np.float32)
    for person in range(people):
        left = (97 * person + 6 * number) % (WIDTH - 20)
        top = 60 + 53 * person % 200
        picture[top : top + 60, left : left + 18] = 30 + 23 * (person % 8)
    picture += noise * np.roll(_noise(), (37 * number % HEIGHT, 151 * number % WIDTH), (0, 1))
    return np.clip(picture, 16, 235).astype(np.uint8)


def dimmed(luma: Luma, share: float) -> Luma:
    """With so much of its light."""
    return (16 + (luma.astype(np.float32) - 16) * share).astype(np.uint8)


def fogged(luma: Luma, left: float = 0.2) -> Luma:
    """With so much of its contrast left, and grey."""
    return (luma * left + 170 * (1 - left)).astype(np.uint8)


def blurred(luma: Luma, pixels: float = 8.0) -> Luma:
    """Out of focus."""
    return np.asarray(cv2.GaussianBlur(luma, (0, 0), pixels), np.uint8)


def turned(luma: Luma, share: float = 0.2) -> Luma:
    """What a camera sees that was turned by a part of its field of view: the rest of it is new."""
    columns = round(WIDTH * share)
    return np.hstack([luma[:, columns:], street(seed=9)[:, :columns]])
