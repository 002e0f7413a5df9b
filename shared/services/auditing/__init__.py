"""The auditor: holds rows, objects, multiparts, staging, quotas and the board against each other.

Independent of the services whose work it judges: it has rows of its own to read, and believes
nothing it has seen only from one side. What looks wrong is looked at again before it is a finding,
so that what others change meanwhile is no damage. It never deletes bytes.
"""
