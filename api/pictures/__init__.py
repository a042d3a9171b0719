"""Pictures of listings: checks, cleans and scales uploads, and stores the files. Knows nothing of HTTP and SQL."""
