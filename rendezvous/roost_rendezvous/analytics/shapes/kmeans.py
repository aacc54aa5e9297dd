"""K-means in numpy: k-means++ seeding, Lloyd's steps, the best of a few starts. Same seed, same clusters."""

import numpy as np

from roost_rendezvous.analytics.shapes.ratios import Floats


def fit(points: Floats, clusters: int, *, seed: int = 0, starts: int = 4, steps: int = 50) -> Floats:
    """Centres, of the shape (at most `clusters`, dimensions), for points of the shape (points, dimensions).

    Fewer centres come back when there are fewer different points. ValueError without points.
    """
    if points.ndim != 2 or not len(points) or clusters < 1:
        raise ValueError(f"no clusters can be found in points of the shape {points.shape}")
    rng = np.random.default_rng(seed)
    tried = [_descend(points, _seeds(points, clusters, rng), steps) for _ in range(starts)]
    return min(tried, key=lambda found: found[1])[0]


def distances(points: Floats, centres: Floats) -> Floats:
    """Squared distances, of the shape (points, centres)."""
    apart: Floats = np.square(points[:, None, :] - centres[None, :, :]).sum(axis=2)
    return apart


def _seeds(points: Floats, clusters: int, rng: np.random.Generator) -> Floats:
    """Arthur and Vassilvitskii's k-means++: each next centre with a chance that grows with the squared distance."""
    chosen = [points[rng.integers(len(points))]]
    nearest = np.square(points - chosen[0]).sum(axis=1)
    while len(chosen) < clusters and nearest.max() > 0:
        chosen.append(points[rng.choice(len(points), p=nearest / nearest.sum())])
        nearest = np.minimum(nearest, np.square(points - chosen[-1]).sum(axis=1))
    return np.array(chosen)


def _descend(points: Floats, centres: Floats, steps: int) -> tuple[Floats, float]:
    for _ in range(steps):
        apart = distances(points, centres)
        nearest = apart.argmin(axis=1)
        moved = np.array(
            [
                points[nearest == at].mean(axis=0) if (nearest == at).any() else centre
                for at, centre in enumerate(centres)
            ]
        )
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres, float(distances(points, centres).min(axis=1).sum())
