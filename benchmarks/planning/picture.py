"""Images a second and efficiency against the number of accelerators."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.planning.step import Step

Plans = Mapping[tuple[str, int], Mapping[int, Step]]  # by statistics and images a device, then by devices
COLORS = {"synchronized": "C0", "local": "C1"}
LINES = ("-", "--", ":", "-.")
TICKS = (10_000, 20_000, 50_000, 100_000, 200_000, 500_000)


def draw(path: str, plans: Plans, cores: int) -> None:
    """Draw the images a second, and the efficiency; beside them what the hosts decode."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = dict(zip(dict.fromkeys(batch for _, batch in plans), LINES, strict=False))
    for (statistics, batch), steps in plans.items():
        look = {"color": COLORS[statistics], "linestyle": styles[batch], "marker": "o", "markersize": 4}
        label = f"{statistics} statistics, {batch} images each"
        left.plot(list(steps), [n * batch / step.fed for n, step in steps.items()], label=label, **look)
        right.plot(list(steps), [step.efficiency for step in steps.values()], **look)
    (_, batch), steps = next(iter(plans.items()))
    sizes = list(steps)
    ideal = [n * batch / step.compute for n, step in steps.items()]
    limit = [n * batch / step.input for n, step in steps.items()]
    left.plot(sizes, ideal, color="gray", linewidth=1, zorder=0, label="compute only")
    left.plot(sizes, limit, color="C3", label=f"what {cores} cores a host decode")
    part = [one / other for one, other in zip(limit, ideal, strict=True)]
    right.plot(sizes, part, color="C3")
    right.fill_between(sizes, part, 1.0, where=[each < 1 for each in part], color="C3", alpha=0.1, linewidth=0)
    right.annotate("here the input is the limit", (sizes[-1], 0.99), ha="right", va="top", color="C3", fontsize=9)
    left.set(yscale="log", ylabel="images/s", yticks=TICKS, yticklabels=[f"{each:,}" for each in TICKS])
    right.set(ylabel="efficiency", ylim=(0, 1.0))
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes in (left, right):
        axes.set(xscale="log", xlabel="accelerators", xticks=sizes, xticklabels=[str(n) for n in sizes])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    figure.savefig(path, dpi=150)
