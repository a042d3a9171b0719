"""The visitors of the walk. They run in a container in the deployment's networks, and carry out orders line by line.

`__main__` reads the orders, and `crowd` knows the people. `visits` has the acts of one or two people, `refusals` the
acts that must fail, and `chats` the acts of many people while the operator breaks something. `watching` measures how
long nothing answered, and `books` compares the content of the database.
"""
