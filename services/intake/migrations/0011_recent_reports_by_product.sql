-- Each delivery asks whether its product has a report about units of the last month, whatever their lot.
CREATE INDEX reported_lines_product_day ON reported_lines (sku, delivered_on, lot);
DROP INDEX reported_lines_product;
