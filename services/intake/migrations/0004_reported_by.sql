-- Who reported: the customer, or the receiver of a gift.
ALTER TABLE issues ADD COLUMN reported_by text NOT NULL DEFAULT 'customer';
