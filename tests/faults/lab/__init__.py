"""The fault lab: real systems, generated chains, faults at random, and a model of what must hold.

``make faults N=200`` runs it, ``make faults SEED=plain:417`` repeats what one system went through.

=================  ==================================================================
``plans``          what one system goes through: chains, traffic, faults; drawn by hypothesis
``deployment``     the files of a system: its workers and its ``next_workers``
``system``         its processes, their environment, and who starts them again
``places``         where a fault can strike: which process, which file
``faults``         what is done there, by kind and place
``traffic``        who launches chains and sends messages meanwhile
``journal``        the model: what must hold of the journal, read when all is over
``samples``        the checklist file as it was seen while all this went on
``episode``        one system from its start to the verdict
``runner``         many of them, several at once
``report``         the table of ``docs/reliability.md``
=================  ==================================================================
"""
