"""The people of the walk: they are in a container in the deployment's own networks, and carry out orders line by line.

`__main__` reads the lines, and `crowd` knows the people. `visits` are the acts of one or two of them, `refusals` the
acts that must fail, and `chats` those of many while the operator breaks something. `watching` measures how long nothing
answered, and `books` compares the content of the database.
"""
