"""Pictures for the demo listings: draws cars, and puts them in by the way that uploads take."""
