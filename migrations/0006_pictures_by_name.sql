-- Predictions keep the names of their pictures. Addresses are made when they are answered, so
-- that another version of the REST interface finds them too.
update predictions set output = json_set(output, '$.mask', 'mask.png')
    where json_extract(output, '$.kind') = 'segmentation';
update predictions set output = json_set(output, '$.map', 'map.png')
    where json_extract(output, '$.kind') = 'depth';
update predictions set output = json_set(output, '$.map', 'flow.png')
    where json_extract(output, '$.kind') = 'flow';
