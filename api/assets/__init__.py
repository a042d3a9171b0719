"""The page's files as browsers get them: one script, made of all modules, and one style sheet. Nothing has to be built
before the start: the modules and styles of api/web are joined when an API reads them. Pure, but for `files`."""
