"""The people of the walk: in a container of the deployment's own networks, doing what they are told line by line.

`__main__` reads the lines, `crowd` knows who there is, `visits` is what one or two of them do, `refusals` what they
must not, `chats` what many do while the operator breaks something, `watching` how long nothing answered, `books` what
is in the database.
"""
