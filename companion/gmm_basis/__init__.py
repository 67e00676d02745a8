"""The experiments of GMM-basis (preprints.org 202302.0275), and what they share."""
