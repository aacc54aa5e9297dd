"""From a frame to labels with scores: decoding, preprocessing, interpreter, prediction."""
