"""Measures of densities, samples, clusterings and classifiers: pure functions of arrays.

Every function takes lists, arrays, data frames or tensors, refuses what would give a wrong number
(NaN, masked values, other shapes) by a ``ValueError`` that names the argument, and returns plain
numbers or arrays in double precision.

Likelihood

===============================  ========================================================
negative_log_likelihood          mean NLL in nats per sample; lower is better
nats_per_pixel                   NLL of images in nats per pixel; lower is better
bits_per_dim                     the same in bits per dimension
integral_2d                      integral of a density over the plane; 1 is right
===============================  ========================================================

Densities on a basis

===============================  ========================================================
basis_loss                       L of weights on a Gaussian basis; 0 is best, 2 worst
mass_loss                        L of any density, from its masses in cells
===============================  ========================================================

Generated samples

===============================  ========================================================
inception_score                  IS, from class probabilities; higher is better
frechet_distance                 FID, or its root, the FID of EM-GM; lower is better
maximum_mean_discrepancy         MMD with a Gaussian kernel; lower is better
nearest_neighbor_accuracy        1NN accuracy, real against generated; 0.5 is best
precision_and_recall             shares within the other's support; higher is better
density_and_coverage             the same by balls around real samples
===============================  ========================================================

Clusterings

===============================  ========================================================
matched_accuracy                 accuracy under the best matching; higher is better
adjusted_rand_index              ARI; 1 is best, 0 is chance
normalized_mutual_information    NMI; 1 is best
contingency_table                points of each class in each component
best_matching                    the matching of components and classes
separation                       is a class cut or shared, a component dead?
components_in_use                components that hold a share of the points
effective_components             exponential of the entropy of the weights
===============================  ========================================================

Classifiers

===============================  ========================================================
accuracy                         share of right classes; higher is better
log_loss                         cross-entropy in nats; lower is better
brier_score                      squared distance from the class; lower is better
expected_calibration_error       ECE: confidence against accuracy; lower is better
reliability_diagram              the bins of the ECE
temperature_scaled               probabilities at another temperature
best_temperature                 the temperature of the least log loss
log_error_probability            how doubtful each sample is, in nats
accuracy_by_coverage             accuracy on the most confident samples
===============================  ========================================================

Seeds and trends

===============================  ========================================================
student_t_interval               interval of a mean over seeds
binomial_interval                interval of an accuracy
page_trend_test                  do values rise in most blocks?
mean_rank_correlation            Spearman's, mean over blocks
===============================  ========================================================
"""

from mixflow.metrics.basis import basis_loss, mass_loss
from mixflow.metrics.calibration import (
    best_temperature,
    expected_calibration_error,
    reliability_diagram,
    temperature_scaled,
)
from mixflow.metrics.classification import accuracy, brier_score, log_loss
from mixflow.metrics.components import (
    Separation,
    components_in_use,
    effective_components,
    separation,
)
from mixflow.metrics.integration import integral_2d
from mixflow.metrics.intervals import Interval, binomial_interval, student_t_interval
from mixflow.metrics.likelihood import bits_per_dim, nats_per_pixel, negative_log_likelihood
from mixflow.metrics.matching import (
    ContingencyTable,
    adjusted_rand_index,
    best_matching,
    contingency_table,
    matched_accuracy,
    normalized_mutual_information,
)
from mixflow.metrics.neighbors import (
    DensityCoverage,
    NearestNeighborAccuracy,
    PrecisionRecall,
    density_and_coverage,
    nearest_neighbor_accuracy,
    precision_and_recall,
)
from mixflow.metrics.rejection import accuracy_by_coverage, log_error_probability
from mixflow.metrics.samples import frechet_distance, inception_score, maximum_mean_discrepancy
from mixflow.metrics.trends import PageTrend, mean_rank_correlation, page_trend_test

__all__ = [
    "ContingencyTable",
    "DensityCoverage",
    "Interval",
    "NearestNeighborAccuracy",
    "PageTrend",
    "PrecisionRecall",
    "Separation",
    "accuracy",
    "accuracy_by_coverage",
    "adjusted_rand_index",
    "basis_loss",
    "best_matching",
    "best_temperature",
    "binomial_interval",
    "bits_per_dim",
    "brier_score",
    "components_in_use",
    "contingency_table",
    "density_and_coverage",
    "effective_components",
    "expected_calibration_error",
    "frechet_distance",
    "inception_score",
    "integral_2d",
    "log_error_probability",
    "log_loss",
    "mass_loss",
    "matched_accuracy",
    "maximum_mean_discrepancy",
    "mean_rank_correlation",
    "nats_per_pixel",
    "nearest_neighbor_accuracy",
    "negative_log_likelihood",
    "normalized_mutual_information",
    "page_trend_test",
    "precision_and_recall",
    "reliability_diagram",
    "separation",
    "student_t_interval",
    "temperature_scaled",
]
