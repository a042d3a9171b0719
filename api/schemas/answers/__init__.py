"""The answers as dataclasses. Each becomes JSON unchanged, and describes that JSON in the OpenAPI document.

Below each class is the function that makes it from the domain's object. Only listings come as JSON from the database
(shared/repositories/listings.py), with the fields of shared/domain/listings.py; `Listing` describes them.
"""
