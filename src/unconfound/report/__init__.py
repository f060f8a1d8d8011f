"""Plots and the page: what an audit says, in one file that a browser opens without network."""

from unconfound.report.entry import Entry as Entry
from unconfound.report.page import write_report as write_report
from unconfound.report.sentences import sentences as sentences
