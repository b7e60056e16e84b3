"""The learning rate at each step."""

from shapelens.training.spec import Training


def learning_rate(training: Training, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of ``step`` (from 0).

    One cycle (Smith 2018, linear form): it rises to ``lr`` over the warm-up share of all steps and falls towards zero,
    which it would reach one step after the last. Piecewise: ``lr`` times the factor of the epoch's piece.
    """
    schedule = training.schedule
    if schedule.kind == "piecewise":
        epoch = step // steps_per_epoch
        for length, factor in zip(schedule.epochs, schedule.factors, strict=True):
            if epoch < length:
                return training.lr * factor
            epoch -= length
        return training.lr * schedule.factors[-1]
    total = training.epochs * steps_per_epoch
    rise = round(schedule.warmup * total)
    return training.lr * ((step + 1) / rise if step < rise else (total - step) / max(1, total - rise))
