"""Every line of SQL, the schema and its migrations."""
