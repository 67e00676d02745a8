# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What table II's data sets ask
#
# The accuracies of [table II](em_gm_table_2) depend on what the test split of a data set asks. This
# page looks at what the flows of a class share or divide on Letter and Satimage, at what the
# components of small Norb are, and at how Satimage was split.
#
# ## Parameters

# %% tags=["parameters"]
experiment = "em-gm/table-2-sharing"
profile = "stored"  # stored, smoke, laptop or paper

# %% [markdown]
# ## Results
#
# ### Divide the samples, or share them?
#
# Between one EM with exact posteriors, where every flow specialises, and flows that know nothing of
# each other, whose densities are averaged, lie posteriors at a temperature (T = D is the released
# code's) and blocks with an EM each. The same recipe otherwise, and the same K:

# %% tags=["remove-input"]
from IPython.display import Markdown, display

from companion import figures
from companion.book.display import show
from companion.book.page import Page
from companion.em_gm.table_2 import ways as table_2_ways
from companion.em_gm.table_2.summary import NAMES as names

page = Page(experiment, profile)
ways = table_2_ways.sharing(page.rows)
page.source()

# %% tags=["remove-input"]
table_2_ways.sharing_shown(ways).style.hide(axis="index")

# %% tags=["remove-input"]
show(
    figures.sharing({names[d]: part for d, part in ways.groupby("dataset", sort=False)}),
    alt=table_2_ways.sharing_drawn(ways, names),
    caption="What one flow of every class reaches alone (hollow), and the mixture (filled).",
)

# %% tags=["remove-input"]
display(Markdown("\n".join(f"- {line}" for line in table_2_ways.sharing_said(ways, names))))

# %% [markdown]
# ### What are Norb's components?
#
# A class of small Norb shows five toys from all sides and in all lights, and
# the test split shows five others. A mixture of as many flows as toys, fitted as in the table; its
# flows are started by a Gaussian mixture, which is not told of toys. Once with grey values as they
# are, once with every image shifted and scaled to mean 0 and standard deviation 1:

# %% tags=["remove-input"]
parts = Page("em-gm/norb-components", profile)
display(parts.source())
for dataset, images in table_2_ways.LIGHT.items():
    if not (own := parts.of(dataset=dataset)).runs:
        continue
    learned, said = own.runs[0].arrays, table_2_ways.components_said(own.rows)
    show(
        figures.components_of_classes(learned["typical"], learned["weights"], learned["classes"]),
        alt="A panel for each class: a row of images for each component, of the training samples "
        f"where its density is largest. {said}",
        caption=f"Training samples where a component's density is largest ({images} for the "
        "flows), each of another toy; one seed. The left camera; the flows see both.",
    )
    display(Markdown(f"**{images.capitalize()}**: {said}"))

# %% [markdown]
# Components that follow the light leave every flow fewer samples of each toy and tell it nothing of
# toys that it has not seen. If that is why K does not help, it should help once brightness and
# contrast are out (where the light comes from can still be seen). Each toy of the training split is
# left out in turn, with one of every class, and then classified; no test sample is looked at:

# %% tags=["remove-input"]
light = Page("em-gm/norb-light", profile)
left = table_2_ways.left_out(light.rows)
display(light.source())
show(
    figures.left_out(left),
    alt=table_2_ways.left_out_drawn(left),
    caption="Accuracy on a toy of every class that was left out, against K; black: the mean.",
)

# %% tags=["remove-input"]
table_2_ways.left_out_shown(light.rows).style.hide(axis="index")

# %% tags=["remove-input"]
display(Markdown("\n".join(f"- {line}" for line in table_2_ways.left_out_said(light.rows))))

# %% [markdown]
# With more components flows describe the toys that they have seen better and better, but not other
# toys. Classes may still be told apart better. Five toys are few, though: what K gives depends on
# the toy that is asked for, and the toys of the test split, in [table II's](em_gm_table_2) trends,
# are another five. The table's Norb takes normalised images because of this comparison. An earlier
# version of the table had grey values as they are; their test accuracies, which did not rise with
# K, had been seen.
#
# ### What Satimage is
#
# A sample of Satimage is a window of 3 x 3 pixels of one Landsat scene, in four bands, and its
# class is that of the middle pixel. Windows one pixel apart share six of their nine pixels, so
# equal values tell which windows lie beside each other:

# %% tags=["remove-input"]
overlaps = Page("em-gm/satimage-windows", profile)
found = overlaps.rows.set_index("metric")["value"]
display(overlaps.source())
display(
    Markdown(f"""
Training and test windows come from the same scene: {found["largest_piece"]:.2%} of all windows hang
together in one piece. {found["test_beside_train"]:.1%} of the test windows overlap a training
window, and in {found["same_class"]:.1%} of these pairs the classes agree. A rule that looks at no
pixel's value, and gives a test window the most frequent class among the training windows that it
overlaps, is right in {found["vote_accuracy"]:.1%} of the test windows that have one.
""")
)

# %% [markdown]
# So Satimage's official test set does not ask what becomes of a new scene: a classifier that
# remembers is rewarded, and its accuracies are those of filling in a scene whose pixels are
# mostly known. This holds for every number published on this split.
#
# ### Is there a better recipe for Satimage?
#
# A fifth of the training split, drawn anew five times, is left out and classified; no test sample
# is looked at. A line says what was changed. The class is that of the middle pixel, so a window
# could as well be turned or mirrored: the last column but one says what it gives to average the
# density over a window's eight symmetries.

# %% tags=["remove-input"]
others = Page("em-gm/satimage-recipes", profile)
recipes = table_2_ways.recipes(others.rows)
display(others.source())
display(table_2_ways.recipes_shown(recipes).style.hide(axis="index"))
display(Markdown(table_2_ways.recipes_said(recipes)))

# %% [markdown]
# ± is the standard error of the difference over the five parts, which overlap a little.
# [Table II](em_gm_table_2) has models of all training samples, with eight views and without, on the
# test split.
#
# ## What differs from the paper, and why
#
# The paper reports accuracies for table II, and none of what is measured here. The settings are
# those of table II's best recipe on each data set, except where a table names another.
#
# ## Provenance

# %% tags=["remove-input"]
page.provenance()

# %% [markdown]
# ## Run it again
#
# ```bash
# mixflow run em-gm/table-2-sharing --profile laptop
# mixflow run em-gm/norb-components --profile laptop
# mixflow run em-gm/norb-light --profile laptop
# mixflow run em-gm/satimage-windows --profile laptop
# mixflow run em-gm/satimage-recipes --profile laptop
# mixflow notebook em_gm_table_2_data -p profile=smoke
# ```

# %% tags=["remove-input"]
for part in (page, parts, light, overlaps, others):
    display(part.downloads())
