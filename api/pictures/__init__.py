"""Pictures of listings, apart from HTTP and SQL: checking, cleaning and scaling uploads, and keeping the files."""
