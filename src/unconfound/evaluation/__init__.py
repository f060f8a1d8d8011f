"""How good embeddings are, and how much they rely on the background."""

from unconfound.evaluation.adam_probe import cross_validate_adam_probe as cross_validate_adam_probe
from unconfound.evaluation.cross_validation import cross_validate_knn as cross_validate_knn
from unconfound.evaluation.cross_validation import cross_validate_probe as cross_validate_probe
from unconfound.evaluation.embed import embed as embed
from unconfound.evaluation.embeddings import Embeddings as Embeddings
from unconfound.evaluation.evaluate import evaluate as evaluate
from unconfound.evaluation.evaluation_table import evaluation_table as evaluation_table
from unconfound.evaluation.figures import Evaluation as Evaluation
from unconfound.evaluation.figures import Figure as Figure
from unconfound.evaluation.figures import read_evaluation as read_evaluation
from unconfound.evaluation.figures import write_evaluations as write_evaluations
from unconfound.evaluation.folds import CrossValidation as CrossValidation
from unconfound.evaluation.judging import Judging as Judging
from unconfound.evaluation.knn import knn_predict as knn_predict
from unconfound.evaluation.probe import LinearProbe as LinearProbe
from unconfound.evaluation.probe import fit_probe as fit_probe
from unconfound.evaluation.result_table import markdown_table as markdown_table
from unconfound.evaluation.result_table import terminal_table as terminal_table
from unconfound.evaluation.svm import cross_validate_svm as cross_validate_svm
