"""The pages that everybody may see, rendered on the server: what search engines, previews and browsers without
JavaScript get. The modules of api/web then take over. No module here reads a database."""
