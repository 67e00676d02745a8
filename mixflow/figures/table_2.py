"""What a class's flows gain by dividing its samples: table II of EM-GM, taken apart."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mixflow.figures.style import style


def sharing(tables: dict[str, pd.DataFrame]) -> Figure:
    """Draw accuracies against how sharply posteriors divide samples, a panel per data set.

    A line joins what one flow of every class reaches alone to what the mixture reaches: its
    length is what pooling gains.

    Parameters
    ----------
    tables
        Data set -> a line per way to share or divide, with the columns ``way``,
        ``test_largest_responsibility``, ``mean_flow_test_accuracy`` and ``test_accuracy``.
    """
    fig, panels = plt.subplots(
        1, len(tables), figsize=(4.8 * len(tables), 4.6), layout="constrained", squeeze=False
    )
    for axes, (name, table) in zip(panels[0], tables.items(), strict=True):
        for index, line in enumerate(table.itertuples()):
            look = style(index) | {"linestyle": "none"}
            x, alone, pooled = (
                line.test_largest_responsibility,
                line.mean_flow_test_accuracy,
                line.test_accuracy,
            )
            axes.plot([x, x], [alone, pooled], color=look["color"], linewidth=1)
            axes.plot(x, alone, fillstyle="none", **look)
            axes.plot(x, pooled, label=line.way, **look)
        axes.set(title=name, xlabel="mean largest responsibility of a test sample")
        axes.grid(alpha=0.3)
    panels[0, 0].set_ylabel("test accuracy (share)\nfilled: mixture, hollow: one flow alone")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3)
    return fig
