"""Pictures of listings: checks, cleans and scales uploads, and stores the files. Knows neither HTTP nor SQL."""
