"""Tables: from CSV and Parquet files to features, classes and groups."""
