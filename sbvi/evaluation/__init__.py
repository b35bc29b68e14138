"""Likelihood estimates and other scores, from models and objectives alone."""

from sbvi.evaluation.evaluator import Evaluation, Evaluator, Validator

__all__ = ["Evaluation", "Evaluator", "Validator"]
