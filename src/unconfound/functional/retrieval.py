"""Where scripts of earlier versions look for `unconfound.functional.retrieval_metrics`."""

from unconfound.functional.retrieval_metrics import retrieval_metrics, retrieval_per_query

__all__ = ["retrieval_metrics", "retrieval_per_query"]
