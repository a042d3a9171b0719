"""Postgres, Redis, processes and the network fail under load: each acknowledged message is stored and arrives, once."""
