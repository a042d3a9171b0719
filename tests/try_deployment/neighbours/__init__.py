"""Servers of others that a deployment uses: a mail server and a storage of pictures, each in a container of its own."""
