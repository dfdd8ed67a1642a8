-- An order belongs to the storefront that placed it first, also when two place it at the same time.
CREATE UNIQUE INDEX given_placed_order ON given (role, id) WHERE kind = 'placed_order';
